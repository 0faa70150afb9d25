using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Messages;

/// <summary>Messages to users over gRPC.</summary>
internal sealed class MessagesGrpcService(MessageLog messages, TableCache<Message> cache) : Wire.BlockMessages.BlockMessagesBase
{
    public override async Task<Wire.BlockMessage> GetMessage(Wire.GetMessageRequest request, ServerCallContext context) =>
        ToWire(await messages.GetAsync(context.GetOperation(), request.MessageId, context.CancellationToken));

    public override async Task<Wire.ListMessagesResponse> ListMessages(Wire.ListMessagesRequest request, ServerCallContext context)
    {
        var all = await messages.ListAsync(context.GetOperation(), request.AllProjects, context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(message => message.Id, StringComparer.Ordinal), message => message.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListMessagesResponse { NextPageToken = page.NextToken ?? "" };
        response.Messages.AddRange(page.Items.Select(ToWire));
        return response;
    }

    public override async Task<Empty> DeleteMessage(Wire.DeleteMessageRequest request, ServerCallContext context)
    {
        await messages.DeleteAsync(context.GetOperation(), request.MessageId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchMessages(Wire.WatchMessagesRequest request, IServerStreamWriter<Wire.MessageEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var project = operation.ListedProject(request.AllProjects);
        return Watching.TellAsync(
            cache, message => project is null || message.ProjectId == project ? ToWire(message) : null,
            responseStream,
            told => told switch
            {
                { Id: null } => new Wire.MessageEvent { Revision = told.Revision, Synced = true },
                { Shown: { } shown } => new Wire.MessageEvent { Revision = told.Revision, Changed = shown },
                _ => new Wire.MessageEvent { Revision = told.Revision, Deleted = told.Id },
            },
            context.CancellationToken);
    }

    private static Wire.BlockMessage ToWire(Message message) => new()
    {
        Id = message.Id,
        ProjectId = message.ProjectId,
        ResourceType = message.ResourceType,
        ResourceId = message.ResourceId,
        EventId = message.EventId,
        Text = message.Text,
        RequestId = message.RequestId,
        CreatedAt = message.CreatedAt.ToTimestamp(),
        KeptUntil = message.KeptUntil.ToTimestamp(),
    };
}
