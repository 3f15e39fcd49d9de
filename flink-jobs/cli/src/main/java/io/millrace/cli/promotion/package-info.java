/** Commands by which a person decides which policy version is served. */
package io.millrace.cli.promotion;
