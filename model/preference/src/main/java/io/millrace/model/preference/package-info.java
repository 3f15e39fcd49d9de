/** Learning straight from preferences, without a reward model: DPO, IPO and KTO. */
package io.millrace.model.preference;
