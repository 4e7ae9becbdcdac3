import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { AdministeredUser } from "../_shared/ops/contract.ts";
import { AdminUserQuery, BanUserRequest } from "./schema.ts";
import { banUser, readUser } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "A user with their credits and jobs, and what admins did about them",
  auth: "admin",
  policies: ["admin"],
  query: AdminUserQuery,
  response: { 200: AdministeredUser },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: readUser,
}, {
  method: "POST",
  summary: "Suspends a user and ends their sessions, or keeps their data as evidence; or lifts that",
  auth: "admin",
  policies: ["admin"],
  request: BanUserRequest,
  response: { 200: AdministeredUser },
  errors: [codes["resource/not-found"], codes["resource/wrong-state"]],
  ports: { database },
  service: banUser,
});
