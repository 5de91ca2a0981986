/** Mocha's spec reporter, which also writes the totals to the file that $MOCHA_REPORT names, for bin/check. */
const { writeFileSync } = require('node:fs');
const Mocha = require('mocha');

module.exports = class extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats;
      writeFileSync(process.env.MOCHA_REPORT, JSON.stringify({ passes, failures, pending }));
    });
  }
};
