/** Chats with policies through the server of {@code millrace serve}. */
package io.millrace.console.talk;
