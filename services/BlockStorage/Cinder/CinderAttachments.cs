using System.Text.Json.Nodes;
using Nephos.BlockStorage.Attachments;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Attachments over REST, from version 3.27 on.</summary>
internal sealed class CinderAttachments(AttachmentService attachments, TimeProvider time)
{
    private static readonly Microversion First = new(3, 27), Completion = new(3, 44);

    private static readonly Dictionary<string, Func<Attachment, IComparable?>> SortKeys = new()
    {
        ["id"] = attachment => attachment.Id,
        ["created_at"] = attachment => attachment.CreatedAt,
        ["volume_id"] = attachment => attachment.VolumeId,
    };

    public void Map(CinderRoutes routes)
    {
        routes.Get("/attachments", call => ListAsync(call, detail: false));
        routes.Get("/attachments/detail", call => ListAsync(call, detail: true));
        routes.Post("/attachments", CreateAsync);
        routes.Get("/attachments/{id}", async call => Answer(await attachments.GetAsync(Since(call, First).Operation, call.Route("id"), call.Cancelled)));
        routes.Put("/attachments/{id}", UpdateAsync);
        routes.Delete("/attachments/{id}", DeleteAsync);
        routes.Post("/attachments/{id}/action", ActAsync);
    }

    // What a version does not have is not there.
    private static RestCall Since(RestCall call, Microversion version) =>
        call.Version >= version ? call : throw Faults.NotFound("Resource", call.Http.Request.Path);

    private RestResult Answer(Attachment attachment) =>
        RestResult.Json(200, new JsonObject { ["attachment"] = CinderViews.AttachmentDetail(attachment, time.GetUtcNow()) });

    private async Task<RestResult> ListAsync(RestCall call, bool detail)
    {
        Since(call, First);
        var all = await attachments.ListAsync(
            call.Operation, call.Query("volume_id"), call.Query("instance_id"), node: null, CinderRoutes.AsksForAllProjects(call), call.Cancelled);
        var page = CinderList.Page(call, all, attachment => attachment.Id, SortKeys, id => Faults.NotFound("Volume attachment", id), out var more);
        var now = time.GetUtcNow();
        var body = new JsonObject
        {
            ["attachments"] = new JsonArray([.. page.Select(item => detail ? CinderViews.AttachmentDetail(item, now) : CinderViews.AttachmentSummary(item, now))]),
        };
        CinderList.AddNext(call, body, "attachments", $"/v3/{call.Route("project")}/attachments{(detail ? "/detail" : "")}", page.LastOrDefault()?.Id ?? "", more);
        return RestResult.Json(200, body);
    }

    private async Task<RestResult> CreateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(Since(call, First), "attachment");
        var connector = body["connector"] as JsonObject;
        var wish = new AttachmentWish
        {
            VolumeId = CinderInput.Text(body, "volume_uuid") ?? throw Faults.Invalid("volume_uuid", "is required"),
            InstanceId = CinderInput.Text(body, "instance_uuid"),
            Node = connector is null ? null : CinderInput.Text(connector, "host"),
            Device = connector is null ? null : CinderInput.Text(connector, "mountpoint"),
            ReadOnly = CinderInput.Text(body, "mode") == "ro",
        };
        return Answer(await attachments.CreateAsync(call.Operation, wish, call.Cancelled));
    }

    private async Task<RestResult> UpdateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(Since(call, First), "attachment");
        var connector = body["connector"] as JsonObject ?? throw Faults.Invalid("connector", "is required");
        return Answer(await attachments.UpdateAsync(
            call.Operation, call.Route("id"), CinderInput.Text(connector, "host"), instanceId: null, CinderInput.Text(connector, "mountpoint"), detaching: null,
            call.Cancelled));
    }

    private async Task<RestResult> DeleteAsync(RestCall call)
    {
        var attachment = await attachments.GetAsync(Since(call, First).Operation, call.Route("id"), call.Cancelled);
        await attachments.DeleteAsync(call.Operation, attachment.Id, call.Cancelled);
        var rest = await attachments.ListAsync(call.Operation, attachment.VolumeId, null, null, allProjects: true, call.Cancelled);
        var now = time.GetUtcNow();
        return RestResult.Json(200, new JsonObject { ["attachments"] = new JsonArray([.. rest.Select(item => CinderViews.AttachmentSummary(item, now))]) });
    }

    private async Task<RestResult> ActAsync(RestCall call)
    {
        var body = await Since(call, Completion).ReadJsonAsync();
        if (!body.ContainsKey("os-complete")) throw Faults.Invalid("body", "There is no such action");
        await attachments.CompleteAsync(call.Operation, call.Route("id"), call.Cancelled);
        return RestResult.Empty(204);
    }
}
