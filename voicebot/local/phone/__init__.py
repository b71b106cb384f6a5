"""A local phone: Twilio's side of a voice call, from the signed webhook to the last mark."""
