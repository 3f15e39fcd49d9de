/** Pieces of the demo that use the jobs: the gold judge and induced failures. */
package io.millrace.demo;
