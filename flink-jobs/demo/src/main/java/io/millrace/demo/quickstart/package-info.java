/** The quickstart: the whole loop in one process. */
package io.millrace.demo.quickstart;
