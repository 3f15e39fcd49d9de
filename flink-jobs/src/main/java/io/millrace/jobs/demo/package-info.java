/**
 * The demo world: small English dialogue with a hidden gold reward, and annotators who judge by it.
 * Models never see gold.
 */
package io.millrace.jobs.demo;
