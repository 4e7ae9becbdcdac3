import { profiles } from "../_shared/database/profiles.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { DeleteUserProfileResponse, UpdateUserProfileRequest, UserProfileResponse } from "./schema.ts";
import { deleteUserProfile, getUserProfile, updateUserProfile } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "The caller's own profile",
  auth: "user",
  policies: ["reads"],
  response: { 200: UserProfileResponse },
  errors: [],
  ports: { database: profiles },
  service: getUserProfile,
}, {
  method: "PATCH",
  summary: "Changes what it names of the profile",
  auth: "user",
  policies: ["writes"],
  request: UpdateUserProfileRequest,
  response: { 200: UserProfileResponse },
  errors: [],
  ports: { database: profiles },
  service: updateUserProfile,
}, {
  method: "DELETE",
  summary: "Closes the caller's account, at once and for good",
  auth: "user",
  policies: ["writes"],
  response: { 202: DeleteUserProfileResponse },
  errors: [],
  ports: { database: profiles },
  service: deleteUserProfile,
});
