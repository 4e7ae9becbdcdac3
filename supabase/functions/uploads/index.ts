import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { codes } from "../_shared/errors/error-codes.ts";
import { uploadStorage } from "../_shared/platform/storage.ts";
import {
  DeleteUploadsQuery,
  GetUploadsQuery,
  GetUploadsResponse,
  PatchUploadsRequest,
  PatchUploadsResponse,
  PostUploadsRequest,
  PostUploadsResponse,
} from "./schema.ts";
import { deleteUploads, getUploads, patchUploads, postUploads } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "The caller's pictures, newest first, page by page",
  auth: "user",
  policies: ["reads"],
  query: GetUploadsQuery,
  response: { 200: GetUploadsResponse },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: getUploads,
}, {
  method: "POST",
  summary: "Begins the upload of a picture, and tells where its file goes",
  auth: "user",
  policies: ["writes"],
  request: PostUploadsRequest,
  response: { 201: PostUploadsResponse },
  errors: [
    codes["resource/not-found"],
    codes["resource/wrong-state"],
    codes["upload/quota-exceeded"],
    codes["storage/failed"],
  ],
  ports: { database, uploads: uploadStorage },
  service: postUploads,
}, {
  method: "PATCH",
  summary: "Completes an upload: the file is looked at and cleaned",
  auth: "user",
  policies: ["writes"],
  request: PatchUploadsRequest,
  response: { 200: PatchUploadsResponse },
  errors: [codes["resource/not-found"], codes["upload/not-usable"], codes["storage/failed"]],
  ports: { database, uploads: uploadStorage },
  service: patchUploads,
}, {
  method: "DELETE",
  summary: "Deletes a picture; its files are removed afterwards",
  auth: "user",
  policies: ["writes"],
  query: DeleteUploadsQuery,
  response: { 204: null },
  errors: [codes["resource/not-found"], codes["resource/wrong-state"]],
  ports: { database },
  service: deleteUploads,
});
