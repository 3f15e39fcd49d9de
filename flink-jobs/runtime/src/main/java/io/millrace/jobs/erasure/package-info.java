/** What was learned from a record or a person, and its removal from topics. */
package io.millrace.jobs.erasure;
