/** What the simulated phone says itself; the rest the API says, in the same language. */
import type { WatchedJob } from "@kinora/client";

export const languages = { en: "English", tr: "Türkçe", es: "Español" } as const;
export type Language = keyof typeof languages;

interface Words {
  start: string;
  credits: (count: number) => string;
  model: string;
  prompt: string;
  make: string;
  buy: (product: string) => string;
  bought: (count: number) => string;
  progress: string;
  stages: Record<WatchedJob["progress"]["stage"], string>;
  video: string;
}

export const words: Readonly<Record<Language, Words>> = {
  en: {
    start: "Start as a guest",
    credits: (count) => `${count} credits`,
    model: "Model",
    prompt: "What should happen?",
    make: "Make the video",
    buy: (product) => `Buy ${product}`,
    bought: (count) => `${count} credits bought`,
    progress: "Progress",
    stages: {
      queued: "Waiting",
      submitted: "Handed over",
      generating: "Being made",
      storing: "Being stored",
      done: "Ready",
    },
    video: "Your video",
  },
  tr: {
    start: "Misafir olarak başla",
    credits: (count) => `${count} kredi`,
    model: "Model",
    prompt: "Ne olsun?",
    make: "Videoyu oluştur",
    buy: (product) => `Satın al: ${product}`,
    bought: (count) => `${count} kredi satın alındı`,
    progress: "İlerleme",
    stages: {
      queued: "Bekliyor",
      submitted: "Gönderildi",
      generating: "Oluşturuluyor",
      storing: "Kaydediliyor",
      done: "Hazır",
    },
    video: "Videonuz",
  },
  es: {
    start: "Empezar como invitado",
    credits: (count) => `${count} créditos`,
    model: "Modelo",
    prompt: "¿Qué debe pasar?",
    make: "Crear el vídeo",
    buy: (product) => `Comprar ${product}`,
    bought: (count) => `${count} créditos comprados`,
    progress: "Progreso",
    stages: {
      queued: "En espera",
      submitted: "Enviado",
      generating: "En creación",
      storing: "Guardándose",
      done: "Listo",
    },
    video: "Tu vídeo",
  },
};
