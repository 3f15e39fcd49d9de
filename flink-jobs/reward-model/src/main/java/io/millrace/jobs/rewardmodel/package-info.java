/** Job reward-model: helpfulness and safety reward models from judgments. */
package io.millrace.jobs.rewardmodel;
