package io.millrace.jobs.rejection;

/**
 * What the responses to one safety prompt that were sampled under {@code preprompts} came to.
 *
 * @param responses number of them
 * @param tooLong responses that were not sampled, because the prompt is too long with the message
 * @param won whether one of them is the best of all responses to the prompt
 * @param compared whether both kinds have a response that can win
 * @param gain best reward of these responses minus the best of the others; 0 unless compared
 */
public record GuidedResponses(
    int responses, int tooLong, boolean won, boolean compared, double gain) {}
