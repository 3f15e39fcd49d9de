/** Dialogues, and the chat templates that turn them into tokens: Llama 2-Chat, ChatML, Llama 3. */
package io.millrace.model.chat;
