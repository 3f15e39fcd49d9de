/** Topics that are followed in memory. */
package io.millrace.console.tail;
