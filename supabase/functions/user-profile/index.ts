import { profiles } from "../_shared/database/profiles.ts";
import { endpoint } from "../_shared/endpoint.ts";
import { UpdateUserProfileRequest, UserProfileResponse } from "./schema.ts";
import { getUserProfile, updateUserProfile } from "./service.ts";

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
});
