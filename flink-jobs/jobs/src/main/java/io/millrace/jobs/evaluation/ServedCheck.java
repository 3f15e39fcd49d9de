package io.millrace.jobs.evaluation;

/**
 * The test whether the served version must be withdrawn. It adds up a few looks and then begins
 * anew with the next number: evidence that a version was good once would hide for long that the
 * reward models have learned better.
 *
 * @param served the served version
 * @param number of this test among all such tests of the policy, from 1
 * @param looks taken
 * @param evidence beside the version served before it
 */
record ServedCheck(long served, long number, int looks, VersionEvidence evidence) {

  static ServedCheck begin(long served, long before, long number) {
    return new ServedCheck(served, number, 0, VersionEvidence.none(before));
  }

  boolean isOf(long servedNow, long beforeNow) {
    return served == servedNow && evidence.other() == beforeNow;
  }

  ServedCheck plus(VersionEvidence look) {
    return new ServedCheck(served, number, looks + 1, evidence.plus(look));
  }
}
