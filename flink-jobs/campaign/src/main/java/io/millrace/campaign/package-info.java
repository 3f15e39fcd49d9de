/**
 * Versions of a policy one after the other (Llama 2, section 3.2), in stages that can be
 * interrupted.
 */
package io.millrace.campaign;
