// Every word of the page in Korean and English, and how numbers are written in each.

import { make } from "./dom.js";

const NAMES = { ko: "한국어", en: "English" };
const WORDS = {
  en: {
    title: "Find the look",
    headline: "See it worn.\nFind it in the shop.",
    lead: "Give us a photo of an outfit. We find each garment on it and show the products most like it.",
    choose: "Choose a photo",
    drop: "or drop one here, or paste it",
    release: "Let go to search this photo",
    examples: "Or try one of these",
    example: (n) => `Example photo ${n}`,
    skip: "Skip to the results",
    language: "Language",
    yourPhoto: "Your photo",
    photoAlt: "The photo you chose",
    tools: "Photo tools",
    draw: "Draw a box",
    drawHint: "Drag over the garment. Or use the arrow keys to move the box, Shift and arrow keys to resize it, Enter to search.",
    adjustHint: "Not quite? Drag the box or its corners.",
    adjustKeys: "By keyboard: arrow keys on the box move it, with Shift they resize it, Enter searches.",
    drawn: "Your box",
    filters: "Filters",
    brand: "Brand",
    site: "Shop",
    price: "Price in won",
    least: "from",
    most: "to",
    clear: "Clear filters",
    noHits: "Nothing passes these filters.",
    copies: (n) => `${n} more alike`,
    fewer: "Show fewer",
    whole: "Whole photo",
    another: "New photo",
    results: "Results",
    found: (n) => (n === 1 ? "1 garment found" : `${n} garments found`),
    pick: "Pick one on the photo, or look at the closest products of each.",
    nothing: "No garment recognised",
    nothingHint: "These products are most like the whole photo. Draw a box around a garment for better ones.",
    seeAll: "See all",
    seeAllOf: (name) => `See all: ${name}`,
    back: "Back",
    overview: "All garments",
    alike: (n) => (n === 1 ? "1 similar product" : `${n} similar products`),
    any: "Everything",
    searchIn: "Search in",
    more: "More like this",
    moreOf: (name) => `More like ${name}`,
    moreTitle: "More like this",
    similarity: "similarity",
    toShop: (name) => `${name}, opens the shop in a new tab`,
    unnamed: "Unnamed product",
    searching: "Searching …",
    products: (n) => `${n} products`,
    again: "Try again",
    sure: (score) => `${score} sure`,
    errors: {
      bad_photo: "That file is not a picture we can read. JPEG, PNG, WebP and GIF work.",
      too_large: "That picture is too large. Ten megabytes is the limit.",
      too_slow: "The upload took too long. Please try again.",
      busy: "Many people are searching right now. Please try again in a moment.",
      overdue: "That took too long. Please try again.",
      not_found: "That product is no longer in the shop.",
      index_missing: "The shop's catalog cannot be reached just now. Please try again in a moment.",
      version_mismatch: "The shop's catalog is being renewed. Please try again in a moment.",
      offline: "The shop cannot be reached. Are you online?",
      other: "Something went wrong. Please try again.",
    },
    categories: {
      bag: "Bag", bottom: "Bottom", dress: "Dress", hat: "Hat", outer: "Outerwear", shoes: "Shoes", top: "Top",
    },
  },
  ko: {
    title: "룩 찾기",
    headline: "입은 모습 그대로,\n상품을 찾아보세요.",
    lead: "코디 사진 한 장이면 충분해요. 사진 속 옷을 하나씩 찾아 가장 비슷한 상품을 보여드립니다.",
    choose: "사진 고르기",
    drop: "여기에 끌어다 놓거나 붙여 넣어도 됩니다",
    release: "놓으면 이 사진으로 검색합니다",
    examples: "예시 사진으로 시작하기",
    example: (n) => `예시 사진 ${n}`,
    skip: "결과로 건너뛰기",
    language: "언어",
    yourPhoto: "내 사진",
    photoAlt: "선택한 사진",
    tools: "사진 도구",
    draw: "영역 그리기",
    drawHint: "옷 위를 드래그하세요. 방향키로 옮기고, Shift+방향키로 크기를 바꾸고, Enter로 검색할 수도 있어요.",
    adjustHint: "영역이나 모서리를 끌어 맞춰 보세요.",
    adjustKeys: "키보드로는 방향키로 옮기고, Shift+방향키로 크기를 바꾸고, Enter로 검색합니다.",
    drawn: "직접 그린 영역",
    filters: "필터",
    brand: "브랜드",
    site: "쇼핑몰",
    price: "가격(원)",
    least: "최소",
    most: "최대",
    clear: "필터 지우기",
    noHits: "조건에 맞는 상품이 없어요.",
    copies: (n) => `같은 사진 ${n}개 더`,
    fewer: "접기",
    whole: "사진 전체",
    another: "다른 사진",
    results: "검색 결과",
    found: (n) => `옷 ${n}개를 찾았어요`,
    pick: "사진에서 하나를 고르거나, 각 옷과 가장 비슷한 상품을 살펴보세요.",
    nothing: "알아본 옷이 없어요",
    nothingHint: "사진 전체와 가장 비슷한 상품입니다. 옷 주위에 영역을 그리면 더 정확해요.",
    seeAll: "모두 보기",
    seeAllOf: (name) => `${name} 모두 보기`,
    back: "뒤로",
    overview: "옷 전체",
    alike: (n) => `비슷한 상품 ${n}개`,
    any: "전체",
    searchIn: "검색 범위",
    more: "비슷한 상품 더 보기",
    moreOf: (name) => `${name}와(과) 비슷한 상품 더 보기`,
    moreTitle: "이 상품과 비슷한 상품",
    similarity: "유사도",
    toShop: (name) => `${name}, 새 탭에서 상품 페이지 열기`,
    unnamed: "이름 없는 상품",
    searching: "찾는 중 …",
    products: (n) => `상품 ${n}개`,
    again: "다시 시도",
    sure: (score) => `확신도 ${score}`,
    errors: {
      bad_photo: "읽을 수 없는 사진이에요. JPEG, PNG, WebP, GIF 파일을 사용해 주세요.",
      too_large: "사진이 너무 커요. 10MB까지 사용할 수 있어요.",
      too_slow: "업로드가 너무 오래 걸렸어요. 다시 시도해 주세요.",
      busy: "지금 검색이 많아요. 잠시 후 다시 시도해 주세요.",
      overdue: "시간이 너무 오래 걸렸어요. 다시 시도해 주세요.",
      not_found: "더 이상 판매하지 않는 상품이에요.",
      index_missing: "지금은 상품 목록을 불러올 수 없어요. 잠시 후 다시 시도해 주세요.",
      version_mismatch: "상품 목록을 새로 준비하고 있어요. 잠시 후 다시 시도해 주세요.",
      offline: "서버에 연결할 수 없어요. 인터넷 연결을 확인해 주세요.",
      other: "문제가 생겼어요. 다시 시도해 주세요.",
    },
    categories: {
      bag: "가방", bottom: "하의", dress: "원피스", hat: "모자", outer: "아우터", shoes: "신발", top: "상의",
    },
  },
};

const KEY = "language";
let language = remembered() ?? (navigator.language.startsWith("ko") ? "ko" : "en");

/** Words of another page: { en: …, ko: … }. */
export function addWords(more) {
  for (const [name, texts] of Object.entries(more)) Object.assign(WORDS[name], texts);
}

/** Buttons for the languages in a group; `onChange()` is called after a choice. */
export function offerLanguages(group, onChange) {
  const choose = (name) => () => {
    setLanguage(name);
    onChange();
  };
  const buttons = Object.entries(NAMES).map(([name, text]) =>
    make("button", { type: "button", "data-language": name, lang: name, onclick: choose(name) }, text),
  );
  group.replaceChildren(...buttons);
}

export const words = () => WORDS[language];
export const categoryName = (category) => words().categories[category] ?? words().any;
export const score = (value) => value.toFixed(2);
export const integer = (value) => new Intl.NumberFormat(language).format(value);
export const percent = (value) => new Intl.NumberFormat(language, { style: "percent" }).format(value);
export const won = (value) => (language === "ko" ? `${integer(value)}원` : `₩${integer(value)}`);

function setLanguage(name) {
  language = name;
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // Storage is switched off: the choice lasts until the page is closed.
  }
  translate();
}

function remembered() {
  try {
    const name = localStorage.getItem(KEY);
    return name in WORDS ? name : null;
  } catch {
    return null;
  }
}

/** Fill every element that names its text or its label. */
export function translate() {
  document.documentElement.lang = language;
  document.title = words()[document.documentElement.dataset.title];
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = words()[element.dataset.text];
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", words()[element.dataset.label]);
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
}
