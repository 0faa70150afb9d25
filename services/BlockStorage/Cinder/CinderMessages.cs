using System.Text.Json.Nodes;
using Nephos.BlockStorage.Messages;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Messages to users over REST, from version 3.3 on.</summary>
internal sealed class CinderMessages(MessageLog messages)
{
    private static readonly Microversion First = new(3, 3), Paged = new(3, 5);

    private static readonly Dictionary<string, Func<Message, IComparable?>> SortKeys = new()
    {
        ["id"] = message => message.Id,
        ["created_at"] = message => message.CreatedAt,
        ["event_id"] = message => message.EventId,
        ["resource_type"] = message => message.ResourceType,
        ["resource_uuid"] = message => message.ResourceId,
        ["request_id"] = message => message.RequestId,
    };

    public void Map(CinderRoutes routes)
    {
        routes.Get("/messages", ListAsync);
        routes.Get("/messages/{id}", async call => RestResult.Json(
            200, new JsonObject { ["message"] = View(call, await messages.GetAsync(Since(call).Operation, call.Route("id"), call.Cancelled)) }));
        routes.Delete("/messages/{id}", DeleteAsync);
    }

    private static RestCall Since(RestCall call) => call.Version >= First ? call : throw Faults.NotFound("Resource", call.Http.Request.Path);

    private async Task<RestResult> ListAsync(RestCall call)
    {
        var all = await messages.ListAsync(Since(call).Operation, allProjects: false, call.Cancelled);
        var body = new JsonObject();
        if (call.Version < Paged)
        {
            body["messages"] = new JsonArray([.. all.Select(message => View(call, message))]);
            return RestResult.Json(200, body);
        }
        var matching = all
            .Where(message => call.Query("resource_type") is not { } type || message.ResourceType == type)
            .Where(message => call.Query("resource_uuid") is not { } id || message.ResourceId == id)
            .Where(message => call.Query("event_id") is not { } kind || message.EventId == kind)
            .Where(message => call.Query("request_id") is not { } request || message.RequestId == request)
            .Where(message => call.Query("message_level") is not { } level || level == Level);
        var page = CinderList.Page(call, matching, message => message.Id, SortKeys, id => Faults.NotFound("Message", id), out var more);
        body["messages"] = new JsonArray([.. page.Select(message => View(call, message))]);
        CinderList.AddNext(call, body, "messages", $"/v3/{call.Route("project")}/messages", page.LastOrDefault()?.Id ?? "", more);
        return RestResult.Json(200, body);
    }

    private async Task<RestResult> DeleteAsync(RestCall call)
    {
        await messages.DeleteAsync(Since(call).Operation, call.Route("id"), call.Cancelled);
        return RestResult.Empty(204);
    }

    private const string Level = "ERROR";

    private static JsonObject View(RestCall call, Message message) => new()
    {
        ["id"] = message.Id,
        ["event_id"] = message.EventId,
        ["user_message"] = message.Text,
        ["message_level"] = Level,
        ["created_at"] = CinderViews.Time(message.CreatedAt),
        ["guaranteed_until"] = CinderViews.Time(message.KeptUntil),
        ["request_id"] = message.RequestId,
        ["resource_type"] = message.ResourceType,
        ["resource_uuid"] = message.ResourceId,
        ["links"] = CinderViews.Links(call, call.Route("project"), $"messages/{message.Id}"),
    };
}
