/**
 * Trains one version of a policy after the other (Llama 2, arXiv 2307.09288, section 3.2), in
 * stages that can be interrupted.
 */
package io.millrace.campaign;
