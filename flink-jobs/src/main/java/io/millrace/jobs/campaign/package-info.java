/**
 * RLHF-V1, V2, …: per version new judgments, new reward models, rejection sampling and PPO on top
 * (Llama 2, arXiv 2307.09288, section 3.2), as stages that each can be interrupted and gone on
 * with.
 */
package io.millrace.jobs.campaign;
