using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.State;

namespace Nephos.Networking.Rest;

/// <summary>The tags of a resource, which are the same under every collection.</summary>
internal static class TagEndpoints
{
    /// <param name="read">The tags of a resource that the caller can see; throws the resource's own NotFound.</param>
    /// <param name="write">Replaces them.</param>
    public static void Map(
        RestRoutes rest, string collection, NetworkStore store,
        Func<NetworkView, OperationContext, string, IReadOnlyList<string>> read,
        Func<OperationContext, string, IReadOnlyList<string>, CancellationToken, Task> write)
    {
        var path = collection + "/{id}/tags";
        async Task<IReadOnlyList<string>> TagsAsync(RestCall call) =>
            read(await store.ViewAsync(call.Cancelled), call.Operation, call.Route("id"));

        rest.Get(path, async call => RestResult.Json(200, new JsonObject { ["tags"] = JsonParts.Strings(await TagsAsync(call)) }));
        rest.Put(path, async call =>
        {
            var body = await RestBody.WholeAsync(call);
            var tags = body.StringsOrNull("tags") ?? throw Faults.Invalid("tags", "must be in the body");
            body.Done();
            await write(call.Operation, call.Route("id"), tags, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["tags"] = JsonParts.Strings(await TagsAsync(call)) });
        });
        rest.Delete(path, async call =>
        {
            await write(call.Operation, call.Route("id"), [], call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Get(path + "/{tag}", async call =>
            (await TagsAsync(call)).Contains(call.Route("tag")) ? RestResult.Empty(204) : throw NetworkFaults.TagNotFound(Checks.Shown(call.Route("tag"))));
        rest.Put(path + "/{tag}", async call =>
        {
            await write(call.Operation, call.Route("id"), [.. await TagsAsync(call), call.Route("tag")], call.Cancelled);
            return RestResult.Empty(201);
        });
        rest.Delete(path + "/{tag}", async call =>
        {
            var tags = await TagsAsync(call);
            if (!tags.Contains(call.Route("tag")))
            {
                throw NetworkFaults.TagNotFound(Checks.Shown(call.Route("tag")));
            }

            await write(call.Operation, call.Route("id"), [.. tags.Where(tag => tag != call.Route("tag"))], call.Cancelled);
            return RestResult.Empty(204);
        });
    }
}
