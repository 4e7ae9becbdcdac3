export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  "public": {
    Tables: {
      "catalogue": {
        Row: {
          "is_singleton": boolean;
          "version": number;
        };
        ComputedFields: never;
        Insert: {
          "is_singleton"?: boolean;
          "version"?: number;
        };
        Update: {
          "is_singleton"?: boolean;
          "version"?: number;
        };
        Relationships: [];
      };
      "job_transitions": {
        Row: {
          "from_status": Database["public"]["Enums"]["job_status"];
          "reason": string;
          "to_status": Database["public"]["Enums"]["job_status"];
        };
        ComputedFields: never;
        Insert: {
          "from_status": Database["public"]["Enums"]["job_status"];
          "reason": string;
          "to_status": Database["public"]["Enums"]["job_status"];
        };
        Update: {
          "from_status"?: Database["public"]["Enums"]["job_status"];
          "reason"?: string;
          "to_status"?: Database["public"]["Enums"]["job_status"];
        };
        Relationships: [];
      };
      "models": {
        Row: {
          "category": Database["public"]["Enums"]["model_category"];
          "credits": number;
          "description": string;
          "finish_within": string;
          "id": string;
          "is_available": boolean;
          "is_featured": boolean;
          "name": string;
          "options": NonNullable<Json>;
          "position": number;
          "pricing_type": Database["public"]["Enums"]["pricing_type"];
          "requires_image": boolean;
          "start_within": string;
          "thumbnail_url": string | null;
        };
        ComputedFields: never;
        Insert: {
          "category": Database["public"]["Enums"]["model_category"];
          "credits": number;
          "description": string;
          "finish_within"?: string;
          "id"?: string;
          "is_available"?: boolean;
          "is_featured"?: boolean;
          "name": string;
          "options": NonNullable<Json>;
          "position"?: number;
          "pricing_type": Database["public"]["Enums"]["pricing_type"];
          "requires_image"?: boolean;
          "start_within"?: string;
          "thumbnail_url"?: string | null;
        };
        Update: {
          "category"?: Database["public"]["Enums"]["model_category"];
          "credits"?: number;
          "description"?: string;
          "finish_within"?: string;
          "id"?: string;
          "is_available"?: boolean;
          "is_featured"?: boolean;
          "name"?: string;
          "options"?: NonNullable<Json>;
          "position"?: number;
          "pricing_type"?: Database["public"]["Enums"]["pricing_type"];
          "requires_image"?: boolean;
          "start_within"?: string;
          "thumbnail_url"?: string | null;
        };
        Relationships: [];
      };
      "users": {
        Row: {
          "closed_at": string | null;
          "created_at": string;
          "display_name": string | null;
          "id": string;
          "is_admin": boolean;
          "is_banned": boolean;
          "language": string | null;
          "theme_preference": string;
        };
        ComputedFields: never;
        Insert: {
          "closed_at"?: string | null;
          "created_at"?: string;
          "display_name"?: string | null;
          "id": string;
          "is_admin"?: boolean;
          "is_banned"?: boolean;
          "language"?: string | null;
          "theme_preference"?: string;
        };
        Update: {
          "closed_at"?: string | null;
          "created_at"?: string;
          "display_name"?: string | null;
          "id"?: string;
          "is_admin"?: boolean;
          "is_banned"?: boolean;
          "language"?: string | null;
          "theme_preference"?: string;
        };
        Relationships: [];
      };
      "video_jobs": {
        Row: {
          "cancel_requested_at": string | null;
          "completed_at": string | null;
          "created_at": string;
          "credits_used": number;
          "deleted_at": string | null;
          "due_at": string | null;
          "error_code": string | null;
          "error_details": Json | null;
          "flag": string | null;
          "id": string;
          "image_url": string | null;
          "late_success_at": string | null;
          "model_id": string;
          "model_name": string;
          "moderated_at": string | null;
          "percent": number | null;
          "prompt": string;
          "request_id": string;
          "settings": NonNullable<Json>;
          "started_at": string | null;
          "status": Database["public"]["Enums"]["job_status"];
          "storing_at": string | null;
          "thumbnail_url": string | null;
          "user_id": string;
          "video_url": string | null;
          "video_url_expires_at": string | null;
        };
        ComputedFields: never;
        Insert: {
          "cancel_requested_at"?: string | null;
          "completed_at"?: string | null;
          "created_at": string;
          "credits_used": number;
          "deleted_at"?: string | null;
          "due_at"?: string | null;
          "error_code"?: string | null;
          "error_details"?: Json | null;
          "flag"?: string | null;
          "id"?: string;
          "image_url"?: string | null;
          "late_success_at"?: string | null;
          "model_id": string;
          "model_name": string;
          "moderated_at"?: string | null;
          "percent"?: number | null;
          "prompt": string;
          "request_id": string;
          "settings": NonNullable<Json>;
          "started_at"?: string | null;
          "status"?: Database["public"]["Enums"]["job_status"];
          "storing_at"?: string | null;
          "thumbnail_url"?: string | null;
          "user_id": string;
          "video_url"?: string | null;
          "video_url_expires_at"?: string | null;
        };
        Update: {
          "cancel_requested_at"?: string | null;
          "completed_at"?: string | null;
          "created_at"?: string;
          "credits_used"?: number;
          "deleted_at"?: string | null;
          "due_at"?: string | null;
          "error_code"?: string | null;
          "error_details"?: Json | null;
          "flag"?: string | null;
          "id"?: string;
          "image_url"?: string | null;
          "late_success_at"?: string | null;
          "model_id"?: string;
          "model_name"?: string;
          "moderated_at"?: string | null;
          "percent"?: number | null;
          "prompt"?: string;
          "request_id"?: string;
          "settings"?: NonNullable<Json>;
          "started_at"?: string | null;
          "status"?: Database["public"]["Enums"]["job_status"];
          "storing_at"?: string | null;
          "thumbnail_url"?: string | null;
          "user_id"?: string;
          "video_url"?: string | null;
          "video_url_expires_at"?: string | null;
        };
        Relationships: [];
      };
    };
    Views: {
      [_ in never]: never;
    };
    Functions: {
      "admin_adjust_credits": {
        Args: {
          "p_admin_id": string;
          "p_amount": number;
          "p_fingerprint": string;
          "p_idempotency_key": string;
          "p_reason": string;
          "p_request_id": string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "admin_ban_user": {
        Args: {
          "p_admin_id": string;
          "p_is_banned": boolean;
          "p_reason": string;
          "p_request_id": string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "admin_change_model": {
        Args: {
          "p_admin_id": string;
          "p_is_available": boolean;
          "p_model_id": string;
          "p_reason": string;
          "p_request_id": string;
        };
        Returns: Json;
      };
      "admin_refund_credits": {
        Args: {
          "p_admin_id": string;
          "p_amount": number;
          "p_fingerprint": string;
          "p_idempotency_key": string;
          "p_job_id": string;
          "p_reason": string;
          "p_request_id": string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "admin_user": { Args: { "p_admin_id": string; "p_user_id": string }; Returns: Json };
      "begin_device_check": { Args: { "p_network": string; "p_user_id": string }; Returns: Json };
      "cancel_video": { Args: { "p_job_id": string; "p_user_id": string }; Returns: Json };
      "claim_submission": {
        Args: { "p_job_id": string; "p_moderates"?: boolean; "p_providers": (string)[] };
        Returns: Json;
      };
      "claim_tasks": { Args: { "p_job_id"?: string; "p_limit": number }; Returns: Json };
      "close_account": { Args: { "p_user_id": string }; Returns: Json };
      "delete_video_job": { Args: { "p_job_id": string; "p_user_id": string }; Returns: Json };
      "enter_device_lane": { Args: { "p_network": string }; Returns: Json };
      "erase_account": {
        Args: { "p_attempt": number; "p_task_id": number; "p_user_id": string };
        Returns: Json;
      };
      "generate_video": {
        Args: {
          "p_fingerprint": string;
          "p_idempotency_key": string;
          "p_image_url": string;
          "p_model_id": string;
          "p_network": string;
          "p_prompt": string;
          "p_request_id": string;
          "p_settings": Json;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "grant_device_credits": {
        Args: { "p_lane": string; "p_network": string; "p_user_id": string };
        Returns: Json;
      };
      "health": { Args: Record<PropertyKey, never>; Returns: Json };
      "keep_signed_urls": { Args: { "p_urls": Json }; Returns: Json };
      "leave_device_lane": { Args: { "p_lane": string; "p_network": string }; Returns: Json };
      "list_credits": { Args: { "p_after": Json; "p_limit": number; "p_user_id": string }; Returns: Json };
      "list_models": { Args: { "p_user_id": string }; Returns: Json };
      "list_video_jobs": {
        Args: { "p_after": Json; "p_limit": number; "p_status": string; "p_user_id": string };
        Returns: Json;
      };
      "profile_json": {
        Args: {
          "p_credits_remaining": number;
          "p_user": Omit<
            Database["public"]["Tables"]["users"]["Row"],
            Database["public"]["Tables"]["users"]["ComputedFields"]
          >;
        };
        Returns: Json;
      };
      "read_profile": { Args: { "p_user_id": string }; Returns: Json };
      "record_cancel": {
        Args: { "p_attempt": number; "p_job_id": string; "p_outcome": Json; "p_task_id": number };
        Returns: Json;
      };
      "record_device_intent": {
        Args: { "p_lane": string; "p_network": string; "p_user_id": string };
        Returns: Json;
      };
      "record_error": {
        Args: {
          "p_code": string;
          "p_context": Json;
          "p_count"?: number;
          "p_endpoint": string;
          "p_request_id": string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "record_files_deleted": {
        Args: { "p_attempt": number; "p_job_id": string; "p_task_id": number };
        Returns: Json;
      };
      "record_moderation": { Args: { "p_job_id": string; "p_verdict": Json }; Returns: Json };
      "record_poll": {
        Args: {
          "p_attempt": number;
          "p_interval_seconds": number;
          "p_request_id": string;
          "p_state": Json;
          "p_submission_id": string;
          "p_task_id": number;
        };
        Returns: Json;
      };
      "record_provider_event": {
        Args: {
          "p_event_id": string;
          "p_provider": string;
          "p_request_id": string;
          "p_state": Json;
          "p_submission_id": string;
        };
        Returns: Json;
      };
      "record_stored": {
        Args: {
          "p_assets": Json;
          "p_attempt": number;
          "p_job_id": string;
          "p_task_id": number;
          "p_urls": Json;
        };
        Returns: Json;
      };
      "record_submission": {
        Args: { "p_outcome": Json; "p_poll_seconds": number; "p_submission_id": string };
        Returns: Json;
      };
      "record_unusable_result": {
        Args: { "p_attempt": number; "p_cause": string; "p_job_id": string; "p_task_id": number };
        Returns: Json;
      };
      "retry_task": {
        Args: {
          "p_after_seconds"?: number;
          "p_attempt": number;
          "p_code"?: string;
          "p_error": string;
          "p_task_id": number;
        };
        Returns: Json;
      };
      "update_profile": { Args: { "p_changes": Json; "p_user_id": string }; Returns: Json };
      "video_status": { Args: { "p_job_id": string; "p_user_id": string }; Returns: Json };
    };
    Enums: {
      "job_status": "pending" | "processing" | "completed" | "failed" | "cancelled";
      "model_category": "text_to_video" | "image_to_video";
      "pricing_type": "per_video" | "per_second";
    };
    CompositeTypes: {
      [_ in never]: never;
    };
  };
};

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">;

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">];

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof (
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
    )
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals } ? (
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
  )[TableName] extends {
    Row: infer R;
  } ? R
  : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R;
    } ? R
    : never
  : never;

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
    Insert: infer I;
  } ? I
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I;
    } ? I
    : never
  : never;

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
    Update: infer U;
  } ? U
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U;
    } ? U
    : never
  : never;

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never,
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
    ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never;

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never,
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never;

export const Constants = {
  "public": {
    Enums: {
      "job_status": ["pending", "processing", "completed", "failed", "cancelled"],
      "model_category": ["text_to_video", "image_to_video"],
      "pricing_type": ["per_video", "per_second"],
    },
  },
} as const;
