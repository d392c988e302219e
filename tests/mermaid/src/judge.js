// Everything that a flowchart sets, as Mermaid's parser left it.
(async (text) => {
    try {
        const { diagramType, config } = await mermaid.parse(text);
        const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
        return JSON.stringify({
            type: diagramType,
            config,
            direction: db.getDirection(),
            nodes: [...db.getVertices().values()].map((node) => ({ ...node, tooltip: db.getTooltip(node.id) ?? null })),
            edges: [...db.getEdges()],
            defaults: db.getEdges().defaultStyle ?? null,
            subgraphs: db.getSubGraphs(),
            classes: [...db.getClasses()],
            title: db.getDiagramTitle(),
            accessible: db.getAccTitle() + db.getAccDescription(),
        });
    } catch (error) {
        return JSON.stringify({ error: String(error) });
    }
})
