/** The record of a campaign: campaign.json. */
package io.millrace.campaign.record;
