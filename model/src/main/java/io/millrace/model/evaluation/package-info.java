/** How good a policy is beside another one, and whether it may be served. */
package io.millrace.model.evaluation;
