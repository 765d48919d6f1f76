export interface Neighbor { readonly index: number }
