/** What a user wrote: private, so that whoever reads it says why. */
import { call } from "../session/session.ts";
import { Change } from "./change.tsx";

interface ReadPromptProps {
  jobId: string;
  read: (prompt: string | null) => void;
  /** Reads anew where it is shown that somebody has read it. */
  changed?: () => void;
}

export function ReadPrompt({ jobId, read, changed = () => {} }: ReadPromptProps) {
  return (
    <Change
      label="Read the prompt"
      title={`Read the prompt of the job ${jobId}`}
      run={async ({ reason }) => {
        const { prompt } = await call("POST", "admin-jobs", { body: { job_id: jobId, reason } });
        read(prompt);
        return `The prompt of the job ${jobId} is shown, and that you read it is written down.`;
      }}
      changed={changed}
    >
      <p>What a user wrote is private. That you read it is written down with your reason.</p>
    </Change>
  );
}
