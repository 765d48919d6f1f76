/** Of `npm test`, and of `npx mocha` when everything is built. Mocha adds files named on its command line to `spec`: with some, only those run. */
const named = process.argv.slice(2).some((word) => /\.test\.js$/.test(word));

module.exports = {
  spec: named ? [] : ['build/test/**/*.test.js'],
  // Minutes of attacks and floods: `npm run interop`.
  ignore: named ? [] : ['build/test/interop/long/**'],
  reporter: './build/test/support/reporter.js',
  // Each file in a process of its own, two at a time: half of the time is waiting for programs of other people. Files named are run here.
  parallel: !named,
  jobs: 2,
  timeout: 20_000,
  slow: 500,
  // A forgotten `only` would let a pipeline pass on one test.
  forbidOnly: Boolean(process.env.CI),
};
