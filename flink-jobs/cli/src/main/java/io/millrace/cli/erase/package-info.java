/** Commands that find and remove what was learned from a record or a person. */
package io.millrace.cli.erase;
