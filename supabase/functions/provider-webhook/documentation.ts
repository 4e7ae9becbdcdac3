import type { Documentation } from "../_shared/endpoint/documentation.ts";

export default {
  POST: {
    description:
      "The URL that a provider gets with each submission; `owner` is the reference of the job's owner, `token` proves " +
      "which submission it was made for, and the provider's own signature, in its own headers, proves who sent the body. An " +
      "event is stored before it is answered; a repeated one changes nothing. A signature, token or account that does not fit, or a timestamp that is more than 5 " +
      "minutes off, is `ERR_4005`: so is this example, which nobody has signed.",
    query: {
      owner: "0b9f4c1e-5d3a-4a57-9d0e-7b1f0e6f2a11",
      provider: "fal",
      submission_id: "7d3f0f5e-0c55-4f0a-a1b5-1f7f0a9d2c44",
      token: "3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs",
    },
    request: { request_id: "764cabcf-b745-4b3e-ae38-1200304cf45b", status: "OK", payload: {} },
    responses: { 200: { received: true } },
    walk: { refused: 401 },
  },
} satisfies Documentation;
