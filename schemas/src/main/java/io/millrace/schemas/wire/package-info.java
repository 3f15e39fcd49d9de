/** How records look outside the process: single-object encoding on the wire, JSON for people. */
package io.millrace.schemas.wire;
