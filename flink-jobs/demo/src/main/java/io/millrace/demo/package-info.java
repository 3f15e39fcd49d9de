/** The demo: everything around jobs on the demo world. */
package io.millrace.demo;
