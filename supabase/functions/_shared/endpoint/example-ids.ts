/** The ids of the documents' examples, so that one example goes on where another ended. */
export const exampleIds = {
  user: "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
  appAccountToken: "0f0b4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
  // Signed by nobody: what Auth and the App Store would have signed.
  guestToken: "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl",
  signedTransaction: "eyJhbGciOiJFUzI1NiJ9.eyJ0eXBlIjoiQ29uc3VtYWJsZSJ9.c2lnbmF0dXJl",
  signedAppTransaction:
    "eyJhbGciOiJFUzI1NiIsIng1YyI6W119.eyJyZWNlaXB0VHlwZSI6IlByb2R1Y3Rpb24ifQ.c2lnbmF0dXJl",
  signedNotification: "eyJhbGciOiJFUzI1NiJ9.eyJub3RpZmljYXRpb25UeXBlIjoiVEVTVCJ9.c2lnbmF0dXJl",
  upload: "7d0e5b7c-3a1f-4c52-9b86-2f4d8e6a1c03",
  appleAuthorizationCode: "c1f0e7a9d3b84c6f8a2e5b7d90c1f3a46.0.mrtz.Xk3vN8qLw2PyT5sBdR7hGQ",
  signedIdentityNotification:
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2FwcGxlaWQuYXBwbGUuY29tIn0.c2lnbmF0dXJl",
  job: "c4a1d7d2-6a55-4c9b-8a0f-0f6a0c4f3e21",
  case: "019ab3f2-7d20-7c55-8f31-6a2b9d0c4e17",
  report: "019ab3f2-7c10-7b44-9e20-5b1a8c9d3f06",
  notice: "019ab3f2-7d20-7c56-a1b2-6a2b9d0c4e18",
  notification: "0197a3c1-5b2e-7c40-8f13-6d9be0a4c752",
  webhook: "b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835",
  delivery: "019ab3f2-8e30-7d66-b1c2-7b3ca0d1e528",
  event: "019ab3f2-8e30-7d65-a0b1-7b3ca0d1e527",
  project: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
  model: "0190a000-0000-7000-8000-000000000001",
  admin: "e2a6c1b0-8d34-4f0c-b7a1-52f3a9d0c864",
} as const;
