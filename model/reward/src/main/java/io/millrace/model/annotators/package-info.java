/** How reliable annotators are, and how far they agree. */
package io.millrace.model.annotators;
