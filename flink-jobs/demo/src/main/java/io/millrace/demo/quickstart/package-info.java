/** The quickstart: the whole loop of jobs, prompts and annotators in one process. */
package io.millrace.demo.quickstart;
