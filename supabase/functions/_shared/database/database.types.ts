export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  "api": {
    Tables: {
      [_ in never]: never;
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
          "p_session_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "admin_errors": {
        Args: {
          "p_admin_id": string;
          "p_after"?: Json;
          "p_codes"?: (string)[];
          "p_endpoint"?: string;
          "p_limit": number;
          "p_request_id"?: string;
          "p_session_id"?: string;
        };
        Returns: Json;
      };
      "admin_refund_credits": {
        Args: {
          "p_admin_id": string;
          "p_amount": number;
          "p_fingerprint": string;
          "p_idempotency_key": string;
          "p_job_id"?: string;
          "p_reason": string;
          "p_request_id": string;
          "p_session_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "admin_search": {
        Args: { "p_admin_id": string; "p_query": string; "p_session_id"?: string };
        Returns: Json;
      };
      "admin_stats": {
        Args: { "p_admin_id": string; "p_session_id"?: string; "p_span": string };
        Returns: Json;
      };
      "app_store_notifications": { Args: { "p_notification": Json }; Returns: Json };
      "appeals": {
        Args: { "p_job_id": string; "p_session_id"?: string; "p_statement": string; "p_user_id": string };
        Returns: Json;
      };
      "apple_identity_notifications": { Args: { "p_notification": Json }; Returns: Json };
      "begin_device_check": {
        Args: {
          "p_app_transaction"?: Json;
          "p_network": string;
          "p_session_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "cancel_video": {
        Args: { "p_job_id": string; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "claim_submission": {
        Args: {
          "p_has_files"?: boolean;
          "p_job_id": string;
          "p_moderates"?: boolean;
          "p_providers": (string)[];
          "p_verdict"?: Json;
        };
        Returns: Json;
      };
      "claim_tasks": {
        Args: { "p_limit": number; "p_subject"?: string; "p_without"?: (string)[] };
        Returns: Json;
      };
      "credits": {
        Args: { "p_after"?: Json; "p_limit": number; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "delete_admin_webhooks": {
        Args: {
          "p_admin_id": string;
          "p_reason": string;
          "p_request_id": string;
          "p_session_id"?: string;
          "p_webhook_id": string;
        };
        Returns: Json;
      };
      "delete_projects": {
        Args: { "p_project_id": string; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "delete_push_tokens": {
        Args: { "p_session_id"?: string; "p_token": string; "p_user_id": string };
        Returns: Json;
      };
      "delete_sessions": {
        Args: { "p_ended_session_id": string; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "delete_uploads": {
        Args: { "p_session_id"?: string; "p_upload_id": string; "p_user_id": string };
        Returns: Json;
      };
      "delete_user_profile": {
        Args: { "p_apple_authorization_code"?: string; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "delete_video_job": {
        Args: { "p_job_id": string; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "deliver_inbox": {
        Args: { "p_attempt": number; "p_delivery_id": string; "p_task_id": number };
        Returns: Json;
      };
      "enter_device_lane": { Args: { "p_network": string }; Returns: Json };
      "erase_account": {
        Args: { "p_attempt": number; "p_task_id": number; "p_user_id": string };
        Returns: Json;
      };
      "finish_apple_revocation": {
        Args: { "p_attempt": number; "p_failure"?: string; "p_task_id": number; "p_user_id": string };
        Returns: Json;
      };
      "finish_consumption": {
        Args: { "p_answer"?: Json; "p_attempt": number; "p_task_id": number; "p_transaction_id": string };
        Returns: Json;
      };
      "finish_export": {
        Args: { "p_attempt": number; "p_bytes"?: number; "p_export_id": string; "p_task_id": number };
        Returns: Json;
      };
      "finish_export_deletion": {
        Args: { "p_attempt": number; "p_export_id": string; "p_task_id": number };
        Returns: Json;
      };
      "finish_notification_history": { Args: { "p_attempt": number; "p_task_id": number }; Returns: Json };
      "finish_push": {
        Args: {
          "p_after_seconds"?: number;
          "p_answers"?: Json;
          "p_attempt": number;
          "p_delivery_id": string;
          "p_error"?: string;
          "p_goes_on"?: boolean;
          "p_reason"?: string;
          "p_task_id": number;
        };
        Returns: Json;
      };
      "finish_webhook_delivery": {
        Args: {
          "p_answer"?: Json;
          "p_attempt": number;
          "p_delivery_id": string;
          "p_failure"?: string;
          "p_is_final"?: boolean;
          "p_retry_after"?: number;
          "p_task_id": number;
        };
        Returns: Json;
      };
      "flags": {
        Args: { "p_context": Json; "p_key"?: string; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "generate_video": {
        Args: {
          "p_client_reference"?: string;
          "p_fingerprint": string;
          "p_idempotency_key": string;
          "p_image_upload_id"?: string;
          "p_image_url"?: string;
          "p_model_id": string;
          "p_moderated_by"?: string;
          "p_network": string;
          "p_project_id"?: string;
          "p_prompt": string;
          "p_providers"?: (string)[];
          "p_request_id": string;
          "p_session_id"?: string;
          "p_settings": Json;
          "p_source_job_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "generate_videos": {
        Args: {
          "p_fingerprint": string;
          "p_idempotency_key": string;
          "p_items": Json;
          "p_mode": string;
          "p_moderated_by"?: string;
          "p_network": string;
          "p_providers"?: (string)[];
          "p_request_id": string;
          "p_session_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "get_admin_alerts": {
        Args: {
          "p_admin_id": string;
          "p_after"?: Json;
          "p_limit": number;
          "p_session_id"?: string;
          "p_status"?: string;
        };
        Returns: Json;
      };
      "get_admin_flags": { Args: { "p_admin_id": string; "p_session_id"?: string }; Returns: Json };
      "get_admin_jobs": {
        Args: {
          "p_admin_id": string;
          "p_after"?: Json;
          "p_error_code"?: string;
          "p_job_id"?: string;
          "p_limit": number;
          "p_model_id"?: string;
          "p_provider"?: string;
          "p_session_id"?: string;
          "p_status"?: string;
          "p_user_id"?: string;
        };
        Returns: Json;
      };
      "get_admin_limits": { Args: { "p_admin_id": string; "p_session_id"?: string }; Returns: Json };
      "get_admin_models": { Args: { "p_admin_id": string; "p_session_id"?: string }; Returns: Json };
      "get_admin_products": { Args: { "p_admin_id": string; "p_session_id"?: string }; Returns: Json };
      "get_admin_queue": {
        Args: {
          "p_admin_id": string;
          "p_after"?: Json;
          "p_kind"?: string;
          "p_limit": number;
          "p_session_id"?: string;
        };
        Returns: Json;
      };
      "get_admin_reports": {
        Args: {
          "p_admin_id": string;
          "p_after"?: Json;
          "p_limit": number;
          "p_session_id"?: string;
          "p_status"?: string;
        };
        Returns: Json;
      };
      "get_admin_users": {
        Args: { "p_admin_id": string; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "get_admin_webhook_deliveries": {
        Args: {
          "p_admin_id": string;
          "p_after"?: Json;
          "p_limit": number;
          "p_session_id"?: string;
          "p_status"?: string;
          "p_webhook_id": string;
        };
        Returns: Json;
      };
      "get_admin_webhooks": { Args: { "p_admin_id": string; "p_session_id"?: string }; Returns: Json };
      "get_notifications": {
        Args: {
          "p_after"?: Json;
          "p_limit": number;
          "p_session_id"?: string;
          "p_unread"?: boolean;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "get_projects": {
        Args: { "p_after"?: Json; "p_limit": number; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "get_purchases": {
        Args: { "p_after"?: Json; "p_limit": number; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "get_sessions": { Args: { "p_session_id"?: string; "p_user_id": string }; Returns: Json };
      "get_uploads": {
        Args: {
          "p_after"?: Json;
          "p_limit": number;
          "p_project_id"?: string;
          "p_session_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "get_user_profile": { Args: { "p_session_id"?: string; "p_user_id": string }; Returns: Json };
      "grant_device_credits": {
        Args: {
          "p_app_transaction"?: Json;
          "p_lane": string;
          "p_network": string;
          "p_session_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "health": { Args: { "p_providers"?: (string)[] }; Returns: Json };
      "keep_apple_token": {
        Args: { "p_attempt": number; "p_refresh_token": string; "p_task_id": number };
        Returns: Json;
      };
      "keep_signed_urls": { Args: { "p_urls": Json }; Returns: Json };
      "leave_device_lane": { Args: { "p_lane": string; "p_network": string }; Returns: Json };
      "load_consumption": { Args: { "p_transaction_id": string }; Returns: Json };
      "load_erasure": { Args: { "p_user_id": string }; Returns: Json };
      "load_export": { Args: { "p_export_id": string }; Returns: Json };
      "load_export_page": {
        Args: { "p_after"?: Json; "p_export_id": string; "p_table": string };
        Returns: Json;
      };
      "load_notification_history": { Args: { "p_environment": string }; Returns: Json };
      "load_upload": {
        Args: { "p_session_id"?: string; "p_upload_id": string; "p_user_id": string };
        Returns: Json;
      };
      "load_upload_files": { Args: { "p_upload_id": string }; Returns: Json };
      "merge_guest": {
        Args: {
          "p_guest_id": string;
          "p_guest_session_id": string;
          "p_is_fresh": boolean;
          "p_session_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "metrics": { Args: Record<PropertyKey, never>; Returns: Json };
      "models": {
        Args: { "p_moderated_by"?: string; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "patch_admin_alerts": {
        Args: {
          "p_acknowledged"?: boolean;
          "p_action"?: string;
          "p_admin_id": string;
          "p_alert_id"?: string;
          "p_critical"?: number;
          "p_flags"?: (string)[];
          "p_is_enabled"?: boolean;
          "p_is_pinned"?: boolean;
          "p_policies"?: (string)[];
          "p_reason": string;
          "p_request_id": string;
          "p_rule"?: string;
          "p_session_id"?: string;
          "p_throttle_percent"?: number;
          "p_warning"?: number;
        };
        Returns: Json;
      };
      "patch_admin_flags": {
        Args: {
          "p_admin_id": string;
          "p_default_variant"?: string;
          "p_is_enabled"?: boolean;
          "p_is_experiment"?: boolean;
          "p_key": string;
          "p_reason": string;
          "p_request_id": string;
          "p_rules"?: Json;
          "p_session_id"?: string;
        };
        Returns: Json;
      };
      "patch_admin_limits": {
        Args: {
          "p_admin_id": string;
          "p_max_hits"?: number;
          "p_policy": string;
          "p_reason": string;
          "p_request_id": string;
          "p_session_id"?: string;
          "p_window_seconds"?: number;
        };
        Returns: Json;
      };
      "patch_admin_models": {
        Args: {
          "p_admin_id": string;
          "p_is_available": boolean;
          "p_model_id": string;
          "p_reason": string;
          "p_request_id": string;
          "p_session_id"?: string;
        };
        Returns: Json;
      };
      "patch_admin_products": {
        Args: {
          "p_admin_id": string;
          "p_credits"?: number;
          "p_description"?: string;
          "p_is_available"?: boolean;
          "p_is_featured"?: boolean;
          "p_kind"?: string;
          "p_name"?: string;
          "p_position"?: number;
          "p_product_id": string;
          "p_reason": string;
          "p_request_id": string;
          "p_session_id"?: string;
          "p_trial_credits"?: number;
        };
        Returns: Json;
      };
      "patch_admin_reports": {
        Args: {
          "p_admin_id": string;
          "p_case_id": string;
          "p_decision": string;
          "p_ground"?: string;
          "p_reason": string;
          "p_request_id": string;
          "p_session_id"?: string;
        };
        Returns: Json;
      };
      "patch_admin_webhooks": {
        Args: {
          "p_admin_id": string;
          "p_is_enabled"?: boolean;
          "p_reason": string;
          "p_request_id": string;
          "p_sealed_secret"?: string;
          "p_session_id"?: string;
          "p_types"?: (string)[];
          "p_url"?: string;
          "p_webhook_id": string;
        };
        Returns: Json;
      };
      "patch_notifications": {
        Args: { "p_ids"?: (string)[]; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "patch_projects": {
        Args: { "p_name": string; "p_project_id": string; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "patch_uploads": {
        Args: {
          "p_bytes": number;
          "p_content_type": string;
          "p_height": number;
          "p_path": string;
          "p_upload_id": string;
          "p_user_id": string;
          "p_width": number;
        };
        Returns: Json;
      };
      "patch_user_profile": {
        Args: { "p_changes": Json; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "post_admin_jobs": {
        Args: {
          "p_admin_id": string;
          "p_job_id": string;
          "p_reason": string;
          "p_request_id": string;
          "p_session_id"?: string;
        };
        Returns: Json;
      };
      "post_admin_products": {
        Args: {
          "p_admin_id": string;
          "p_credits": number;
          "p_description": string;
          "p_is_available"?: boolean;
          "p_is_featured"?: boolean;
          "p_kind": string;
          "p_name": string;
          "p_position"?: number;
          "p_product_id": string;
          "p_reason": string;
          "p_request_id": string;
          "p_session_id"?: string;
          "p_trial_credits"?: number;
        };
        Returns: Json;
      };
      "post_admin_queue": {
        Args: {
          "p_admin_id": string;
          "p_reason": string;
          "p_request_id": string;
          "p_session_id"?: string;
          "p_task_id": number;
        };
        Returns: Json;
      };
      "post_admin_users": {
        Args: {
          "p_action": string;
          "p_admin_id": string;
          "p_reason": string;
          "p_request_id": string;
          "p_session_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "post_admin_webhook_deliveries": {
        Args: {
          "p_admin_id": string;
          "p_delivery_id"?: string;
          "p_request_id": string;
          "p_session_id"?: string;
          "p_test"?: boolean;
          "p_webhook_id"?: string;
        };
        Returns: Json;
      };
      "post_admin_webhooks": {
        Args: {
          "p_admin_id": string;
          "p_reason": string;
          "p_request_id": string;
          "p_sealed_secret": string;
          "p_session_id"?: string;
          "p_types": (string)[];
          "p_url": string;
          "p_webhook_id": string;
        };
        Returns: Json;
      };
      "post_projects": {
        Args: { "p_name": string; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "post_purchases": {
        Args: { "p_session_id"?: string; "p_transaction": Json; "p_user_id": string };
        Returns: Json;
      };
      "post_push_tokens": {
        Args: { "p_environment": string; "p_session_id"?: string; "p_token": string; "p_user_id": string };
        Returns: Json;
      };
      "post_uploads": {
        Args: {
          "p_bytes": number;
          "p_content_type": string;
          "p_project_id"?: string;
          "p_session_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "products": { Args: { "p_session_id"?: string; "p_user_id": string }; Returns: Json };
      "provider_webhook": {
        Args: {
          "p_event_id": string;
          "p_owner": string;
          "p_provider": string;
          "p_request_id": string;
          "p_state": Json;
          "p_submission_id": string;
          "p_without"?: (string)[];
        };
        Returns: Json;
      };
      "record_cancel": {
        Args: { "p_attempt": number; "p_job_id": string; "p_outcome": Json; "p_task_id": number };
        Returns: Json;
      };
      "record_device_intent": {
        Args: {
          "p_app_transaction"?: Json;
          "p_lane": string;
          "p_network": string;
          "p_session_id"?: string;
          "p_user_id": string;
        };
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
      "record_fingerprint": {
        Args: { "p_attempt": number; "p_job_id": string; "p_sha256"?: string; "p_task_id": number };
        Returns: Json;
      };
      "record_image": {
        Args: { "p_job_id": string; "p_outcome": Json; "p_upload_id": string };
        Returns: Json;
      };
      "record_metrics": { Args: { "p_rows": Json }; Returns: Json };
      "record_notification_history": {
        Args: { "p_environment": string; "p_notifications": Json; "p_read_until"?: string };
        Returns: Json;
      };
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
      "record_provider_accounts": {
        Args: { "p_accounts": Json; "p_attempt": number; "p_task_id": number };
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
        Args: {
          "p_outcome": Json;
          "p_poll_seconds": number;
          "p_providers"?: (string)[];
          "p_submission_id": string;
        };
        Returns: Json;
      };
      "record_unusable_result": {
        Args: { "p_attempt": number; "p_cause": string; "p_job_id": string; "p_task_id": number };
        Returns: Json;
      };
      "record_upload_tidied": {
        Args: { "p_attempt": number; "p_task_id": number; "p_upload_id": string };
        Returns: Json;
      };
      "recover_guest": {
        Args: { "p_app_transaction": Json; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
      "renew_tasks": { Args: { "p_attempts": (number)[]; "p_task_ids": (number)[] }; Returns: Json };
      "reports": {
        Args: {
          "p_details"?: string;
          "p_job_id": string;
          "p_reason": string;
          "p_session_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "retry_task": {
        Args: {
          "p_after_seconds"?: number;
          "p_alert"?: Json;
          "p_attempt": number;
          "p_code"?: string;
          "p_error": string;
          "p_task_id": number;
        };
        Returns: Json;
      };
      "takedown_notices": {
        Args: { "p_contact": string; "p_job_id": string; "p_network": string; "p_statement": string };
        Returns: Json;
      };
      "user_export": { Args: { "p_session_id"?: string; "p_user_id": string }; Returns: Json };
      "video_jobs": {
        Args: {
          "p_after"?: Json;
          "p_client_reference"?: string;
          "p_limit": number;
          "p_project_id"?: string;
          "p_session_id"?: string;
          "p_status"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "video_status": {
        Args: { "p_job_id": string; "p_session_id"?: string; "p_user_id": string };
        Returns: Json;
      };
    };
    Enums: {
      [_ in never]: never;
    };
    CompositeTypes: {
      [_ in never]: never;
    };
  };
};

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">;

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "api">];

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
  "api": {
    Enums: {},
  },
} as const;
