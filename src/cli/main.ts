#!/usr/bin/env node
/** The `anystack` command. */
import { createProgram } from './program.js';

// Whoever reads us has seen enough: `anystack ss | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

await createProgram().parseAsync();
