/**
 * What people read when something fails, in each language. Placeholders are keys of the error's details; the
 * texts of one code use the same ones. They avoid plurals, so that "1" reads well too.
 */
import type { ErrorCode } from "./error-codes.ts";
import { fillTemplate, type Language } from "./languages.ts";

export const errorMessages: Readonly<Record<ErrorCode, Readonly<Record<Language, string>>>> = {
  ERR_4001: {
    en: "You do not have enough credits: this costs {required}, and your balance is {available}.",
    tr: "Krediniz yetersiz: bu işlem {required} kredi gerektiriyor, bakiyeniz {available}.",
    es: "No tienes créditos suficientes: esto cuesta {required} y tu saldo es de {available}.",
  },
  ERR_4002: {
    en: "This model is not available. Please choose another one.",
    tr: "Bu model kullanılamıyor. Lütfen başka bir model seçin.",
    es: "Este modelo no está disponible. Elige otro.",
  },
  ERR_4003: {
    en: "This description is not allowed. Please change it and try again.",
    tr: "Bu açıklamaya izin verilmiyor. Lütfen değiştirip yeniden deneyin.",
    es: "Esta descripción no está permitida. Cámbiala e inténtalo de nuevo.",
  },
  ERR_4004: {
    en: "Too many requests. Please try again in {retry_after} s.",
    tr: "Çok fazla istek gönderdiniz. Lütfen {retry_after} sn sonra yeniden deneyin.",
    es: "Demasiadas solicitudes. Inténtalo de nuevo en {retry_after} s.",
  },
  ERR_4005: {
    en: "Your session is not valid. Please sign in again.",
    tr: "Oturumunuz geçerli değil. Lütfen yeniden giriş yapın.",
    es: "Tu sesión no es válida. Vuelve a iniciar sesión.",
  },
  ERR_4006: {
    en: "You are not allowed to do this.",
    tr: "Bu işlem için yetkiniz yok.",
    es: "No tienes permiso para hacer esto.",
  },
  ERR_4007: {
    en: "We could not find what you asked for.",
    tr: "Aradığınız şey bulunamadı.",
    es: "No encontramos lo que buscas.",
  },
  ERR_4008: {
    en: "The request is not valid. Please check what you entered.",
    tr: "İstek geçerli değil. Lütfen girdiğiniz bilgileri kontrol edin.",
    es: "La solicitud no es válida. Revisa los datos que has introducido.",
  },
  ERR_4009: {
    en: "This is not possible in the current state.",
    tr: "Bu işlem mevcut durumda yapılamaz.",
    es: "Esto no es posible en el estado actual.",
  },
  ERR_4010: {
    en: "The Idempotency-Key header is missing or malformed.",
    tr: "Idempotency-Key başlığı eksik veya hatalı.",
    es: "Falta la cabecera Idempotency-Key o no es válida.",
  },
  ERR_4011: {
    en: "This Idempotency-Key has already been used for another request.",
    tr: "Bu Idempotency-Key daha önce başka bir istek için kullanılmış.",
    es: "Esta Idempotency-Key ya se ha usado para otra solicitud.",
  },
  ERR_4012: {
    en: "Your request is still being processed. Please try again in {retry_after} s.",
    tr: "İsteğiniz hâlâ işleniyor. Lütfen {retry_after} sn sonra yeniden deneyin.",
    es: "Tu solicitud aún se está procesando. Inténtalo de nuevo en {retry_after} s.",
  },
  ERR_4013: {
    en: "The request is too large. At most {limit_bytes} bytes are allowed.",
    tr: "İstek çok büyük. En fazla {limit_bytes} bayt gönderilebilir.",
    es: "La solicitud es demasiado grande. El máximo es de {limit_bytes} bytes.",
  },
  ERR_4014: {
    en: "This method is not allowed here.",
    tr: "Bu yönteme burada izin verilmiyor.",
    es: "Este método no está permitido aquí.",
  },
  ERR_4015: {
    en: "We could not verify your device. Please try again later.",
    tr: "Cihazınız doğrulanamadı. Lütfen daha sonra yeniden deneyin.",
    es: "No hemos podido verificar tu dispositivo. Inténtalo de nuevo más tarde.",
  },
  ERR_4016: {
    en: "This purchase was not credited to your account.",
    tr: "Bu satın alma hesabınıza eklenmedi.",
    es: "Esta compra no se ha abonado a tu cuenta.",
  },
  ERR_4017: {
    en: "Your account is suspended.",
    tr: "Hesabınız askıya alındı.",
    es: "Tu cuenta está suspendida.",
  },
  ERR_4018: {
    en: "The request must be in JSON format.",
    tr: "İstek JSON biçiminde olmalıdır.",
    es: "La solicitud debe estar en formato JSON.",
  },
  ERR_4019: {
    en: "This picture cannot be used. Please choose another one.",
    tr: "Bu görsel kullanılamıyor. Lütfen başka bir görsel seçin.",
    es: "Esta imagen no se puede usar. Elige otra.",
  },
  ERR_4020: {
    en: "Your storage is full. Please delete pictures that you no longer need.",
    tr: "Depolama alanınız dolu. Lütfen artık ihtiyacınız olmayan görselleri silin.",
    es: "Tu almacenamiento está lleno. Elimina las imágenes que ya no necesites.",
  },
  ERR_4021: {
    en: "This needs your consent that the video services get your prompt.",
    tr: "Bunun için isteminizin video hizmetlerine iletilmesine onay vermelisiniz.",
    es: "Para esto hace falta su consentimiento para enviar la descripción a los servicios de vídeo.",
  },
  ERR_4022: {
    en: "This video was removed because it breaks the rules.",
    tr: "Bu video kurallara aykırı olduğu için kaldırıldı.",
    es: "Este vídeo se retiró porque infringe las normas.",
  },
  ERR_5001: {
    en: "Generating the video took too long. Please try again.",
    tr: "Videonun oluşturulması çok uzun sürdü. Lütfen yeniden deneyin.",
    es: "La generación del vídeo ha tardado demasiado. Inténtalo de nuevo.",
  },
  ERR_5002: {
    en: "Video generation is not available right now. Please try again later.",
    tr: "Video oluşturma şu anda kullanılamıyor. Lütfen daha sonra yeniden deneyin.",
    es: "La generación de vídeos no está disponible en este momento. Inténtalo de nuevo más tarde.",
  },
  ERR_5003: {
    en: "The video could not be generated from this request. Please change it and try again.",
    tr: "Bu istekle video oluşturulamadı. Lütfen isteğinizi değiştirip yeniden deneyin.",
    es: "No se ha podido generar el vídeo con esta solicitud. Cámbiala e inténtalo de nuevo.",
  },
  ERR_6001: {
    en: "The service is not available right now. Please try again later.",
    tr: "Hizmet şu anda kullanılamıyor. Lütfen daha sonra yeniden deneyin.",
    es: "El servicio no está disponible en este momento. Inténtalo de nuevo más tarde.",
  },
  ERR_6002: {
    en: "The file could not be stored. Please try again later.",
    tr: "Dosya kaydedilemedi. Lütfen daha sonra yeniden deneyin.",
    es: "No se ha podido guardar el archivo. Inténtalo de nuevo más tarde.",
  },
  ERR_6003: {
    en: "Something went wrong on our side. Please try again later.",
    tr: "Bizden kaynaklanan bir sorun oluştu. Lütfen daha sonra yeniden deneyin.",
    es: "Algo ha fallado por nuestra parte. Inténtalo de nuevo más tarde.",
  },
  ERR_6004: {
    en: "This feature is switched off for now. Please try again later.",
    tr: "Bu özellik şimdilik kapalı. Lütfen daha sonra yeniden deneyin.",
    es: "Esta función está desactivada por ahora. Inténtalo de nuevo más tarde.",
  },
};

/** The text of an error, or of a job's `error`, in one language, filled from its details. */
export function errorMessage(
  code: ErrorCode,
  language: Language,
  details: Readonly<Record<string, unknown>>,
): string {
  return fillTemplate(errorMessages[code][language], details);
}
