import { ClosedAccount, Profile } from "../_shared/accounts/contract.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { storage } from "../_shared/platform/storage.ts";
import { CloseAccountRequest, UpdateUserProfileRequest } from "./schema.ts";
import { deleteUserProfile, getUserProfile, updateUserProfile } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "The caller's own profile",
  auth: "user",
  policies: ["reads"],
  response: { 200: Profile },
  errors: [],
  ports: { database, storage },
  service: getUserProfile,
}, {
  method: "PATCH",
  summary: "Changes what it names of the profile",
  auth: "user",
  policies: ["writes"],
  request: UpdateUserProfileRequest,
  response: { 200: Profile },
  errors: [],
  ports: { database, storage },
  service: updateUserProfile,
}, {
  method: "DELETE",
  summary: "Closes the caller's account, at once and for good",
  auth: "user",
  policies: ["writes"],
  request: CloseAccountRequest,
  bodyIsOptional: true,
  response: { 202: ClosedAccount },
  errors: [],
  ports: { database },
  service: deleteUserProfile,
});
