using Microsoft.Extensions.Logging;
using Nephos.Hosting;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Messages;

/// <summary>The messages of projects.</summary>
internal sealed class MessageLog(IStateStore store, TableCache<Message> messages, BlockStorageOptions options, TimeProvider time)
{
    public static readonly MessageAction
        Schedule = new("001", "schedule allocate volume"),
        UploadFailed = new("003", "copy volume to image"),
        ImageFailed = new("005", "copy image to volume"),
        ExtendFailed = new("007", "extend volume"),
        CreateFailed = new("008", "create volume from backend storage"),
        SnapshotFailed = new("009", "create snapshot"),
        BackupFailed = new("013", "create backup"),
        RestoreFailed = new("015", "restore backup"),
        RevertFailed = new("017", "revert volume to snapshot");

    // The detail that says no more than the text.
    private const string Unknown = "001";
    private const int TextCharsMax = 1024;

    public Task AddAsync(string projectId, string resourceType, string resourceId, MessageAction action, string why, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var text = $"{action.Text}:{why}";
        var message = new Message
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            ResourceType = resourceType,
            ResourceId = resourceId,
            EventId = $"{(resourceType == "VOLUME" ? "" : "VOLUME_")}{resourceType}_{resourceType}_{action.Number}_{Unknown}",
            Text = text.Length > TextCharsMax ? text[..TextCharsMax] : text,
            RequestId = RequestIds.New(),
            CreatedAt = now,
            KeptUntil = now + options.MessageTime,
        };
        return store.TransactAsync(
            transaction =>
            {
                transaction.Insert(Message.Table, message);
                return Task.CompletedTask;
            },
            cancellationToken);
    }

    public async Task<Message> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        Visible(operation, await store.GetAsync(Message.Table, id, cancellationToken), id);

    /// <summary>The newest first.</summary>
    public async Task<IReadOnlyList<Message>> ListAsync(OperationContext operation, bool allProjects, CancellationToken cancellationToken)
    {
        var project = operation.ListedProject(allProjects);
        await messages.CatchUpAsync(cancellationToken);
        return
        [
            .. messages.List().Where(message => project is null || message.ProjectId == project)
                .OrderByDescending(message => message.CreatedAt).ThenBy(message => message.Id, StringComparer.Ordinal),
        ];
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireMember("message:delete");
        await store.TransactAsync(
            async transaction =>
            {
                Visible(operation, await transaction.GetAsync(Message.Table, id, cancellationToken), id);
                transaction.Delete(Message.Table, id);
            },
            cancellationToken);
    }

    /// <summary>Forgets the messages whose time is over.</summary>
    public async Task<int> ForgetAsync(CancellationToken cancellationToken)
    {
        var over = messages.List().Where(message => message.KeptUntil < time.GetUtcNow()).ToList();
        foreach (var message in over)
        {
            await store.TransactAsync(
                transaction =>
                {
                    transaction.Delete(Message.Table, message.Id);
                    return Task.CompletedTask;
                },
                cancellationToken);
        }
        return over.Count;
    }

    private static Message Visible(OperationContext operation, Message? message, string id) =>
        message is not null && operation.CanSee(message.ProjectId) ? message : throw Faults.NotFound("Message", id);
}

/// <summary>Forgets old messages.</summary>
internal sealed class MessageReconciler(MessageLog messages, TimeProvider time, ReconcilerRegistry registry, ILogger<MessageReconciler> logger)
    : Reconciler("block-storage/messages", Period, time, registry, logger)
{
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(10);

    protected override async Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken)
    {
        var forgotten = await messages.ForgetAsync(cancellationToken);
        return new ReconcileResult(forgotten, forgotten, 0);
    }
}
