/** Pages as HTML, from templates that escape every text. */
package io.millrace.report.page;
