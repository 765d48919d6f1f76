/** `import { Simulation } from 'anystack/sim'`: many stacks on bad links and virtual time, from one seed. */
export { AnyStack } from '../anystack.js';
export { type Micros, micros, millis, minutes, seconds } from '../base/time.js';
export type { Faults } from '../hyper/fault-injector.js';
export { SimClock, type SimTimer } from './clock.js';
export { checkBounds, checkClosed, checkQuiet, InvariantError, openConnections } from './invariants.js';
export { type LinkEnd, type LinkOptions, SimLink } from './link.js';
export { randomScenario } from './random-scenario.js';
export { runScenario, type Scenario, type ScenarioResult } from './scenario.js';
export * as scenarios from './scenarios.js';
export { Simulation, type SimulationOptions, SimulationTimeout } from './simulation.js';
export { Transfer, type TransferPlan } from './transfer.js';
