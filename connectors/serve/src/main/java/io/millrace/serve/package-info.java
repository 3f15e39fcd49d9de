/** The server of {@code millrace serve}: its settings, and how its parts fit together. */
package io.millrace.serve;
