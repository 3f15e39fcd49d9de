/** Training as the team sees it: metrics, versions, dead letters, lag. */
package io.millrace.console.watch;
