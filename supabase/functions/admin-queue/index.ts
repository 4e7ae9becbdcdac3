import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import {
  GetAdminQueueQuery,
  GetAdminQueueResponse,
  PostAdminQueueRequest,
  PostAdminQueueResponse,
} from "./schema.ts";
import { listDeadTasks, replayTask } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "What the queue has of each kind of task, and its dead letters, newest first, page by page",
  auth: "admin",
  policies: ["admin"],
  query: GetAdminQueueQuery,
  response: { 200: GetAdminQueueResponse },
  errors: [],
  ports: { database },
  service: listDeadTasks,
}, {
  method: "POST",
  summary: "Has a dead letter tried again",
  auth: "admin",
  policies: ["admin"],
  request: PostAdminQueueRequest,
  response: { 200: PostAdminQueueResponse },
  errors: [codes["resource/not-found"], codes["resource/wrong-state"]],
  ports: { database },
  service: replayTask,
});
