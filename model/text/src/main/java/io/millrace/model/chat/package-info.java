/**
 * Dialogues, and the chat templates that render them as tokens: Llama 2-Chat, ChatML and Llama 3.
 */
package io.millrace.model.chat;
