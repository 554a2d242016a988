{let e=document.documentElement;try{let t=localStorage.getItem("glm3edge.theme");(t==="light"||t==="dark")&&(e.dataset.theme=t)}catch{}}
